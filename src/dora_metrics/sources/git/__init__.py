"""A local git history as facts: tags are deployments, merged pull requests and commits are changes."""
