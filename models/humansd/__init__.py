"""HumanSD: people from skeletons without a second branch."""
