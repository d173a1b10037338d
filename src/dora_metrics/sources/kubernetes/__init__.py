"""Deployments by GitOps tools, from files that `kubectl get -o json` or `kubectl get --raw` wrote."""
