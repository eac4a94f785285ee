"""What the Makefile calls: clusters to develop on, images, the chart, the demo.

Standard library only: `make demo` runs it on a machine where nothing is installed yet.
"""
