"""`kubectl iirp`: the story and the decisions, as a kubectl plugin. Standard library only: one zipapp runs anywhere."""
