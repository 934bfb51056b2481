"""All schemes: the folder of each in common/scheme, and that of its worker's side in
worker/strategy.
"""

SCHEMES = {
    "single": "solo",
    "solo": "solo",
    "parameter_server": "ps",
    "all_reduce": "all_reduce",
    "local_sgd": "local_sgd",
    "elastic": "elastic",
    "gossip": "gossip",
    "sharded_optimizer": "sharded_optimizer",
    "delayed": "all_reduce",
}
