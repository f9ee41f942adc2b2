"""The released code of SOP, driven from a checkout of it: nothing of it is in this project."""
