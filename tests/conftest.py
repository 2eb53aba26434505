"""What holds for every test: a property is no race, on a busy machine least of all."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
