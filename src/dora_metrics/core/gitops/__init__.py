"""Deployments by Flux, Flagger, Argo CD and Argo Rollouts: the same facts, whether they are pushed or read."""
