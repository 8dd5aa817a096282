"""Ray: started on this machine, or a cluster that is joined."""
