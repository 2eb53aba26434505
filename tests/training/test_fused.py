"""The fused LoRA product against peft's own layers."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from pipelines.training.fused import fuse


@pytest.mark.parametrize("bias", [False, True], ids=["llama has no bias", "other families have one"])
def test_outputs_and_gradients_equal_pefts(bias: bool) -> None:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, attention_bias=bias,
    )  # fmt: skip
    lora = LoraConfig(r=4, lora_alpha=12, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    theirs = get_peft_model(LlamaForCausalLM(config), lora)
    ours = copy.deepcopy(theirs)
    assert fuse(ours) == 2 * 7  # q, k, v, o, gate, up, down in two layers
    ids = torch.randint(0, 50, (3, 11))
    for model in (theirs, ours):
        model(input_ids=ids, labels=ids).loss.backward()
    torch.testing.assert_close(ours(input_ids=ids).logits, theirs(input_ids=ids).logits)
    gradients = {name: weight.grad for name, weight in theirs.named_parameters() if weight.requires_grad}
    for name, weight in ours.named_parameters():
        if weight.requires_grad:
            torch.testing.assert_close(weight.grad, gradients[name])


def test_layers_with_dropout_keep_pefts_path() -> None:
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4
    )
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", lora_dropout=0.1)
    assert fuse(get_peft_model(LlamaForCausalLM(config), lora)) == 0
