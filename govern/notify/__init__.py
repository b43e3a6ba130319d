"""Ways to reach people: e-mail and signed webhooks, behind `ports.Notifier`. What goes where is not decided here."""
