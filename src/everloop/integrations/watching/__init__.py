"""What Prometheus and Grafana are told of a lifecycle: what to ask for, when to call, what to draw."""
