"""All schemes: the folder of each in common/scheme, and that of its worker's side in
worker/strategy.
"""

SCHEMES = {
    "single": "solo",
    "solo": "solo",
    "parameter_server": "ps",
    "all_reduce": "all_reduce",
}
