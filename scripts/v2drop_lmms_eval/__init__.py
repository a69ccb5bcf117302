"""lmms-eval models with vision tokens dropped, and lmms-eval tasks with the zoo's questions.

lmms-eval finds the models by the entry point `v2drop` of the group `lmms_eval.models`; nothing else imports this package.
"""
