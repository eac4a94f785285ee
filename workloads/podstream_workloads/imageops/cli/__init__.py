"""`podstream-image`: pictures in files, to and from either service, and the services themselves."""
