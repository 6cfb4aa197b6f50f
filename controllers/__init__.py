"""The controllers, one folder and one process each; they meet in the objects and never talk to each other."""
