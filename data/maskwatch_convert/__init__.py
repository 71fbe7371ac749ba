"""Readers of published weights and the writer of Maskwatch's safetensors files."""
