"""The parameters of google-research/bert's public classes and functions, in its order, with its defaults."""

import importlib
import inspect

import pytest

SIGNATURES = {
    "modeling": {
        "BertConfig": "vocab_size, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, "
                      "intermediate_size=3072, hidden_act='gelu', hidden_dropout_prob=0.1, "
                      "attention_probs_dropout_prob=0.1, max_position_embeddings=512, type_vocab_size=16, "
                      "initializer_range=0.02",
        "BertConfig.from_dict": "json_object",
        "BertConfig.from_json_file": "json_file",
        "BertConfig.to_dict": "self",
        "BertConfig.to_json_string": "self",
        "BertModel": "config, is_training, input_ids, input_mask=None, token_type_ids=None, "
                     "use_one_hot_embeddings=False, scope=None",
        "BertModel.get_pooled_output": "self",
        "BertModel.get_sequence_output": "self",
        "BertModel.get_all_encoder_layers": "self",
        "BertModel.get_embedding_output": "self",
        "BertModel.get_embedding_table": "self",
        "gelu": "x",
        "get_activation": "activation_string",
        "get_assignment_map_from_checkpoint": "tvars, init_checkpoint",
        "dropout": "input_tensor, dropout_prob",
        "layer_norm": "input_tensor, name=None",
        "layer_norm_and_dropout": "input_tensor, dropout_prob, name=None",
        "create_initializer": "initializer_range=0.02",
        "embedding_lookup": "input_ids, vocab_size, embedding_size=128, initializer_range=0.02, "
                            "word_embedding_name='word_embeddings', use_one_hot_embeddings=False",
        "embedding_postprocessor": "input_tensor, use_token_type=False, token_type_ids=None, "
                                   "token_type_vocab_size=16, token_type_embedding_name='token_type_embeddings', "
                                   "use_position_embeddings=True, position_embedding_name='position_embeddings', "
                                   "initializer_range=0.02, max_position_embeddings=512, dropout_prob=0.1",
        "create_attention_mask_from_input_mask": "from_tensor, to_mask",
        "attention_layer": "from_tensor, to_tensor, attention_mask=None, num_attention_heads=1, size_per_head=512, "
                           "query_act=None, key_act=None, value_act=None, attention_probs_dropout_prob=0.0, "
                           "initializer_range=0.02, do_return_2d_tensor=False, batch_size=None, "
                           "from_seq_length=None, to_seq_length=None",
        "transformer_model": "input_tensor, attention_mask=None, hidden_size=768, num_hidden_layers=12, "
                             "num_attention_heads=12, intermediate_size=3072, intermediate_act_fn=gelu, "
                             "hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, initializer_range=0.02, "
                             "do_return_all_layers=False",
        "get_shape_list": "tensor, expected_rank=None, name=None",
        "reshape_to_matrix": "input_tensor",
        "reshape_from_matrix": "output_tensor, orig_shape_list",
        "assert_rank": "tensor, expected_rank, name=None",
    },
    "tokenization": {
        "validate_case_matches_checkpoint": "do_lower_case, init_checkpoint",
        "convert_to_unicode": "text",
        "printable_text": "text",
        "load_vocab": "vocab_file",
        "convert_by_vocab": "vocab, items",
        "convert_tokens_to_ids": "vocab, tokens",
        "convert_ids_to_tokens": "inv_vocab, ids",
        "whitespace_tokenize": "text",
        "FullTokenizer": "vocab_file, do_lower_case=True",
        "FullTokenizer.tokenize": "self, text",
        "FullTokenizer.convert_tokens_to_ids": "self, tokens",
        "FullTokenizer.convert_ids_to_tokens": "self, ids",
        "BasicTokenizer": "do_lower_case=True",
        "BasicTokenizer.tokenize": "self, text",
        "BasicTokenizer._run_strip_accents": "self, text",
        "BasicTokenizer._run_split_on_punc": "self, text",
        "BasicTokenizer._tokenize_chinese_chars": "self, text",
        "BasicTokenizer._is_chinese_char": "self, cp",
        "BasicTokenizer._clean_text": "self, text",
        "WordpieceTokenizer": "vocab, unk_token='[UNK]', max_input_chars_per_word=200",
        "WordpieceTokenizer.tokenize": "self, text",
        "_is_whitespace": "char",
        "_is_control": "char",
        "_is_punctuation": "char",
    },
    "optimization": {
        "create_optimizer": "loss, init_lr, num_train_steps, num_warmup_steps, use_tpu",
        "AdamWeightDecayOptimizer": "learning_rate, weight_decay_rate=0.0, beta_1=0.9, beta_2=0.999, epsilon=1e-06, "
                                    "exclude_from_weight_decay=None, name='AdamWeightDecayOptimizer'",
        "AdamWeightDecayOptimizer.apply_gradients": "self, grads_and_vars, global_step=None, name=None",
    },
    "run_classifier": {
        "InputExample": "guid, text_a, text_b=None, label=None",
        "PaddingInputExample": "",
        "InputFeatures": "input_ids, input_mask, segment_ids, label_id, is_real_example=True",
        "DataProcessor": "",
        "DataProcessor.get_train_examples": "self, data_dir",
        "DataProcessor.get_dev_examples": "self, data_dir",
        "DataProcessor.get_test_examples": "self, data_dir",
        "DataProcessor.get_labels": "self",
        "DataProcessor._read_tsv": "input_file, quotechar=None",
        "XnliProcessor": "",
        "MnliProcessor": "",
        "MrpcProcessor": "",
        "ColaProcessor": "",
        "convert_single_example": "ex_index, example, label_list, max_seq_length, tokenizer",
        "file_based_convert_examples_to_features": "examples, label_list, max_seq_length, tokenizer, output_file",
        "file_based_input_fn_builder": "input_file, seq_length, is_training, drop_remainder",
        "_truncate_seq_pair": "tokens_a, tokens_b, max_length",
        "create_model": "bert_config, is_training, input_ids, input_mask, segment_ids, labels, num_labels, "
                        "use_one_hot_embeddings",
        "model_fn_builder": "bert_config, num_labels, init_checkpoint, learning_rate, num_train_steps, "
                            "num_warmup_steps, use_tpu, use_one_hot_embeddings",
        "input_fn_builder": "features, seq_length, is_training, drop_remainder",
        "convert_examples_to_features": "examples, label_list, max_seq_length, tokenizer",
    },
    "run_squad": {
        "SquadExample": "qas_id, question_text, doc_tokens, orig_answer_text=None, start_position=None, "
                        "end_position=None, is_impossible=False",
        "InputFeatures": "unique_id, example_index, doc_span_index, tokens, token_to_orig_map, token_is_max_context, "
                         "input_ids, input_mask, segment_ids, start_position=None, end_position=None, "
                         "is_impossible=None",
        "convert_examples_to_features": "examples, tokenizer, max_seq_length, doc_stride, max_query_length, "
                                        "is_training, output_fn",
        "write_predictions": "all_examples, all_features, all_results, n_best_size, max_answer_length, do_lower_case, "
                             "output_prediction_file, output_nbest_file, output_null_log_odds_file",
        "FeatureWriter": "filename, is_training",
        "FeatureWriter.process_feature": "self, feature",
        "FeatureWriter.close": "self",
        "validate_flags_or_throw": "bert_config",
        "_improve_answer_span": "doc_tokens, input_start, input_end, tokenizer, orig_answer_text",
        "_check_is_max_context": "doc_spans, cur_span_index, position",
        "_get_best_indexes": "logits, n_best_size",
        "_compute_softmax": "scores",
        "read_squad_examples": "input_file, is_training",
        "create_model": "bert_config, is_training, input_ids, input_mask, segment_ids, use_one_hot_embeddings",
        "model_fn_builder": "bert_config, init_checkpoint, learning_rate, num_train_steps, num_warmup_steps, use_tpu, "
                            "use_one_hot_embeddings",
        "input_fn_builder": "input_file, seq_length, is_training, drop_remainder",
        "RawResult": "unique_id, start_logits, end_logits",
        "get_final_text": "pred_text, orig_text, do_lower_case",
    },
    "run_pretraining": {
        "model_fn_builder": "bert_config, init_checkpoint, learning_rate, num_train_steps, num_warmup_steps, use_tpu, "
                            "use_one_hot_embeddings",
        "get_masked_lm_output": "bert_config, input_tensor, output_weights, positions, label_ids, label_weights",
        "get_next_sentence_output": "bert_config, input_tensor, labels",
        "gather_indexes": "sequence_tensor, positions",
        "input_fn_builder": "input_files, max_seq_length, max_predictions_per_seq, is_training, num_cpu_threads=4",
    },
    "create_pretraining_data": {
        "TrainingInstance": "tokens, segment_ids, masked_lm_positions, masked_lm_labels, is_random_next",
        "write_instance_to_example_files": "instances, tokenizer, max_seq_length, max_predictions_per_seq, "
                                           "output_files",
        "create_int_feature": "values",
        "create_float_feature": "values",
        "create_training_instances": "input_files, tokenizer, max_seq_length, dupe_factor, short_seq_prob, "
                                     "masked_lm_prob, max_predictions_per_seq, rng",
        "create_instances_from_document": "all_documents, document_index, max_seq_length, short_seq_prob, "
                                          "masked_lm_prob, max_predictions_per_seq, vocab_words, rng",
        "MaskedLmInstance": "index, label",
        "create_masked_lm_predictions": "tokens, masked_lm_prob, max_predictions_per_seq, vocab_words, rng",
        "truncate_seq_pair": "tokens_a, tokens_b, max_num_tokens, rng",
    },
    "run_classifier_with_tfhub": {
        "create_model": "is_training, input_ids, input_mask, segment_ids, labels, num_labels, bert_hub_module_handle",
        "model_fn_builder": "num_labels, learning_rate, num_train_steps, num_warmup_steps, use_tpu, "
                            "bert_hub_module_handle",
        "create_tokenizer_from_hub_module": "bert_hub_module_handle",
    },
    "extract_features": {
        "InputExample": "unique_id, text_a, text_b",
        "InputFeatures": "unique_id, tokens, input_ids, input_mask, input_type_ids",
        "input_fn_builder": "features, seq_length",
        "model_fn_builder": "bert_config, init_checkpoint, layer_indexes, use_tpu, use_one_hot_embeddings",
        "convert_examples_to_features": "examples, seq_length, tokenizer",
        "_truncate_seq_pair": "tokens_a, tokens_b, max_length",
        "read_examples": "input_file",
    },
}  # fmt: skip


def parameters(module, path):
    found = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    return list(inspect.signature(found).parameters.values())


def written(parameter):
    default = parameter.default
    if default is parameter.empty:
        return parameter.name
    return f"{parameter.name}={getattr(default, '__name__', repr(default))}"


@pytest.mark.parametrize(("module", "path"), [(module, path) for module in SIGNATURES for path in SIGNATURES[module]])
def test_a_call_written_for_upstream_binds_the_same_parameters(module, path):
    """Upstream's parameters come first, by position and by name; any further one is optional."""
    expected = [part for part in SIGNATURES[module][path].split(", ") if part]
    found = parameters(module, path)
    ours, further = found[: len(expected)], found[len(expected) :]
    assert [written(one) for one in ours] == expected
    assert all(one.kind is one.POSITIONAL_OR_KEYWORD for one in ours)
    assert all(one.default is not one.empty or one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL) for one in further)
