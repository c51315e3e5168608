"""The door for torchrun and a TrainJob: `python -m medu1.train JOB`."""

import sys

from medu1.train.launch import main

sys.exit(main(sys.argv[1:]))
