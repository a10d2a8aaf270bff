"""The gateway while everything around it changes: upstreams die and come back, configurations change, processes take over."""
