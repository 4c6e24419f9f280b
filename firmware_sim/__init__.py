"""Simulated devices worn in simulated homes, with the truth in files beside.

`body` and `movement` know how a person moves, `imu` and `heart` what the sensors make of it, `firmware` what a device
does with the blocks, `link` what the way to the broker does to them, `fleet` runs them all in real time.
"""
