"""A gateway before a provider that has every forwarded endpoint, two that have their own, and keys that may little."""

NARROW = "gw-narrow-key"
KEYS = f'{{name: narrow, key: {NARROW}, models: ["fast", "up/allowed-*"]}}, {{name: google-only, key: gw-google, models: ["google/*"]}}'
OK = b'{"object": "ok", "usage": {"prompt_tokens": 8, "total_tokens": 8}}'


def config(port: int) -> str:
    return f"""
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", api_key: sk-upstream, forward: [embeddings, images, audio, moderations, rerank, completions, files, batches, any]}}
  claude: {{kind: anthropic, base_url: "http://127.0.0.1:{port}", api_key: sk-ant}}
  google: {{kind: gemini, base_url: "http://127.0.0.1:{port}", api_key: AIza}}
models:
  fast: {{targets: [up/real-model]}}
  embed: {{targets: [google/gemini-embedding-001]}}
aliases: {{quick: fast}}
"""
