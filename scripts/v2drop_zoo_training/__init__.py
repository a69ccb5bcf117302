"""How the models of the zoo are built, trained and measured."""
