"""Predictors that come with crowdbench; plug-ins like anybody else's."""
