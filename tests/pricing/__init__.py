"""Every recorded call, priced by the gateway and by genai-prices itself, must cost the same."""
