"""From a verdict to what is served: manifest, approval, promotion, rollback."""
