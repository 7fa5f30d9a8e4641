"""How the embedded backbones are made: small CLIPs trained from scratch."""
