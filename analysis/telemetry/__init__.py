"""Reading metrics and logs from any PromQL and LogQL service, with timeouts and errors that name the address."""
