"""What all tests share: no property is judged by how long an example takes, since other work on the machine decides that."""

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
