"""What `make accuracy` and `make bench` run: public data and synthetic load through the production code path."""
