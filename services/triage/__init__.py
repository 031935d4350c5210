"""Classes each report by the policy in force, and says why: the only service that decides who comes first."""
