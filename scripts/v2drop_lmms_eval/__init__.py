"""lmms-eval's models with vision tokens dropped, and an lmms-eval task of the zoo's questions.

lmms-eval finds the models by the entry point `v2drop` of the group `lmms_eval.models`; nothing else imports this package.
"""
