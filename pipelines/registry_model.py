"""The file that MLflow loads with a registered model (models from code): messages in, text out.

Stands alone: it imports nothing of Groundwork, so that `mlflow.pyfunc.load_model` works wherever mlflow,
torch and transformers are installed. Artifact `model`: the merged model's folder (safetensors, tokenizer).
"""

from typing import Any

import mlflow
from mlflow.pyfunc import PythonModel, PythonModelContext


class GroundedModel(PythonModel):  # type: ignore[misc,unused-ignore]
    """Greedy answers of the merged model."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load weights and tokenizer from the artifact."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        folder = context.artifacts["model"]
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        self.model.eval()
        self.max_new_tokens = int((context.model_config or {}).get("max_new_tokens", 64))

    def predict(self, model_input: list[str], params: dict[str, Any] | None = None) -> list[str]:
        """Answer prompts: each string is the whole user message (passages and question)."""
        import torch

        system = str((params or {}).get("system", ""))
        answers = []
        for prompt in model_input:
            messages = [{"role": "system", "content": system}] if system else []
            messages.append({"role": "user", "content": prompt})
            ids = self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
            with torch.inference_mode():
                out = self.model.generate(**ids, max_new_tokens=self.max_new_tokens, do_sample=False)
            answers.append(self.tokenizer.decode(out[0][ids["input_ids"].shape[1] :], skip_special_tokens=True).strip())
        return answers


mlflow.models.set_model(GroundedModel())
