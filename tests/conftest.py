"""What all tests share: no property is judged by how long an example takes, since other work on the machine decides that.

In CI the examples are the same each time: what passes before a change lands passes where it lands. Elsewhere they differ, and find.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeated", settings.get_profile("untimed"), derandomize=True)
settings.load_profile("repeated" if os.environ.get("CI") else "untimed")
