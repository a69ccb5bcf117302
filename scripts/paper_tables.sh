#!/bin/sh
# The tables of the V2Drop paper, a line each: needs a GPU and a hub. Copy a line, or run all: sh scripts/paper_tables.sh
# What is passed on goes to every line: sh scripts/paper_tables.sh --processes 8, or --dry-run to see lmms-eval's command lines;
# --method v2drop --method fastv --method random for methods side by side.
#
# Beside each line stands what was published; none of it was measured by this project. Shares are of the dense score, the mean
# over tasks. Papers do not all use the same prompts, splits or release of lmms-eval: compare shares rather than scores.
# mmbench_en_dev_static finds the option in an answer by rules; mmbench_en_dev asks an OpenAI model, with a key of yours.
set -eu
SIX=gqa,scienceqa_img,textvqa_val,pope,mme,mmbench_en_dev_static

# LLaVA-1.5-7B at 192, 128 and 64 of 576 tokens: 97.6 %, 94.0 % and 86.9 % kept.
# Dense: GQA 61.9, SQA 69.5, TextVQA 58.2, POPE 85.9, MME 1862, MMB 64.6; at 192: 58.5, 69.3, 55.6, 85.1, 1826, 63.7.
# The paper's ratios at 128 and 64 are not known here: those budgets are met at the same relative depths.
v2drop eval --model llava-hf/llava-1.5-7b-hf --tasks $SIX --preset llava-1.5-192 --retain '0.2222 0.1111' "$@"

# LLaVA-NeXT-7B at 640 and 320 of 2,880 tokens: 96.4 % and 91.4 % kept (from later papers).
v2drop eval --model llava-hf/llava-v1.6-vicuna-7b-hf --tasks $SIX --retain '0.2222 0.1111' "$@"

# Qwen2-VL-7B, pictures, at 33.3 %, 22.2 % and 11.1 %: 96.0 to 96.8 %, 92.4 % and 87.7 % kept.
v2drop eval --model Qwen/Qwen2-VL-7B-Instruct --tasks $SIX --retain '0.333 0.222 0.111' "$@"

# Qwen2-VL-7B, videos, at 25 % and 15 %. No published share is known here; LLaVA-OneVision-7B's are 98.6 % and 93.9 %.
v2drop eval --model Qwen/Qwen2-VL-7B-Instruct --tasks mvbench,videomme --retain '0.25 0.15' "$@"
