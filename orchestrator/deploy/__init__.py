"""From a finished run to a deployment: what arms cost, exports, predictions, a server."""
