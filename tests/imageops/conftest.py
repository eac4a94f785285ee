from hypothesis import settings

# Examples are as fast as the machine lets them be; on a shared one that says nothing.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
