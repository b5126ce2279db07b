"""Settings for all tests: Hypothesis without deadlines, since the machine may be busy with other tests."""

from hypothesis import HealthCheck, settings

settings.register_profile("shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared-machine")
