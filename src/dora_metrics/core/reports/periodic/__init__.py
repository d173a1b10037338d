"""Weekly, monthly and quarterly reports: their content, their form as an issue, and who files them."""
