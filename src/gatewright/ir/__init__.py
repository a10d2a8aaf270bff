"""The neutral form: what a request, an answer and a stream mean, in no provider's words."""
