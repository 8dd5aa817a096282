"""Runs planned trials, with Ray Tune or in this process.

Ray reads the settings below when it is imported, so they are set before any module that uses it.
"""

import os

# Records and the live view report what goes wrong; Ray would print a screenful of it.
os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "."
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
os.environ["RAY_NUM_REDIS_GET_RETRIES"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Each trial writes its own record and progress; Tune's loggers would write them again.
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
# In a Ray job this shell's settings come on top of the job's; Ray would refuse one that both have.
os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"
# A trial sees the GPU that it was given and no other; without this, one that was given none sees
# all of them.
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "1"
os.environ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"] = "0"
# Ctrl-C is ours: Tune's own handler makes ``fit`` return as if all were done.
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"
