"""The over-parameterised linear model of the SOP paper (section 3, appendix B): solvers whose results carry certificates."""
