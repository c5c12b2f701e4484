"""Multiple choice: files of questions with the choices of each -> records with all choices of a question."""
