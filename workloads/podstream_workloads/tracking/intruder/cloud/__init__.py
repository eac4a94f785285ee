"""The cloud's side: who is it? Asked over HTTP."""
