"""Image operations: what they are (`values`), what they need (`plan`) and what they do (`apply`).

A picture is a numpy array of shape (height, width) or (height, width, 3), uint8 or uint16, with
channels in the order red, green, blue. Values and plans know no numpy: the process that talks to
clients plans chains without ever loading a picture.
"""
