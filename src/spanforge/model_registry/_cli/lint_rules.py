"""The rules of ``check``: the faults for which a file is refused, and what is likely wrong in a valid file."""

from __future__ import annotations

from typing import Final

from spanforge.model_registry._cli import lint_globs, lint_lifecycle, lint_names, lint_texts
from spanforge.model_registry._cli.lint_types import LintRule

INVALID_FILE: Final = LintRule(
    "invalid-file", "error", "The file cannot be read as a list of entries.", "Correct the text."
)
INVALID_ENTRY: Final = LintRule(
    "invalid-entry",
    "error",
    "A field is missing, unknown or has a value that is not allowed.",
    "Correct the field as the message says.",
)
DUPLICATE_ID: Final = LintRule(
    "duplicate-id",
    "error",
    "Two entries have the same id, in one file or in two.",
    "Remove one of the entries, or give it an id of its own.",
)
EMPTY_REGISTRY: Final = LintRule(
    "empty-registry",
    "warning",
    "A file has no entries. If no other file has any, all models show as unregistered.",
    "Add entries, or delete the file.",
)
FILE_RULES: Final = (INVALID_FILE, INVALID_ENTRY, DUPLICATE_ID)
"""The faults for which the library refuses a file. They are always reported."""

LINT_RULES: Final = (
    LintRule(
        "same-name",
        "error",
        "Two entries have the same name for the same providers. Calls by this name match neither, or only one of them.",
        "Remove the name from one of the entries, or set a different provider in each.",
        lint_names.find_same_names,
    ),
    LintRule(
        "same-glob",
        "error",
        "Two entries have globs that match the same names equally well. Calls by these names match neither.",
        "Make one glob more specific, or remove it.",
        lint_globs.find_tied_globs,
    ),
    LintRule(
        "glob-as-id",
        "error",
        "A model_id is written as a glob. It matches no name but itself.",
        "Write the plain name of the model, and list the glob in aliases.",
        lint_names.find_globs_as_ids,
    ),
    LintRule(
        "glob-matches-all",
        "error",
        "A glob with * has no letter or digit outside brackets. It can match many or all models, which then do not "
        "show as unregistered.",
        "Write the fixed part of the names, as in acme-chat-1-20??-??-??.",
        lint_globs.find_all_matching_globs,
    ),
    LintRule(
        "refused-route",
        "error",
        "A name contains a provider that the entry's provider field does not list. The name never matches.",
        "Write the name without the provider, or add the provider to the list in provider.",
        lint_names.find_refused_routes,
    ),
    LintRule(
        "not-a-provider",
        "error",
        "The provider is a framework, a gateway or a placeholder. The entry matches no call that names a provider.",
        "Write the provider that serves the model, or leave provider out.",
        lint_texts.find_frameworks,
    ),
    LintRule(
        "provider-glob",
        "error",
        "The provider is written as a glob. Only aliases can be globs.",
        "Write a list of providers.",
        lint_texts.find_glob_providers,
    ),
    LintRule(
        "successor-cycle",
        "error",
        "Successors lead back to the model itself.",
        "Name a successor that is in use.",
        lint_lifecycle.find_successor_cycles,
    ),
    LintRule(
        "provider-shutdown",
        "error",
        "According to the provider calendar, the provider no longer serves a model that is not retired.",
        "Retire the model, or set provider if another one serves it.",
        lint_lifecycle.find_provider_shutdowns,
    ),
    LintRule(
        "provider-shutdown-near",
        "warning",
        "According to the provider calendar, the provider stops serving the model within 90 days.",
        "Deprecate the model, and name a successor and a sunset_date before that day.",
        lint_lifecycle.find_near_shutdowns,
    ),
    EMPTY_REGISTRY,
    LintRule(
        "same-form",
        "warning",
        "Two entries have spellings of one name for the same providers. Calls by a third spelling match neither.",
        "Keep one entry, because it matches all spellings, or set a different provider in each.",
        lint_names.find_same_forms,
    ),
    LintRule(
        "wide-glob",
        "warning",
        "A glob also matches other models, which then count as this one.",
        "Write a narrower glob such as -20??-??-??, or none: dated names of a model match without one.",
        lint_globs.find_wide_globs,
    ),
    LintRule(
        "foreign-sign",
        "warning",
        "An id or alias looks like a regular expression, contains braces, or lists several names in one text.",
        "Write each name as an alias of its own. A glob has only *, ? and [...].",
        lint_names.find_foreign_signs,
    ),
    LintRule(
        "address",
        "warning",
        "An id or alias is the address of a service or of a page. Spans have the name of the model instead.",
        "Write the name that applications pass to their client.",
        lint_names.find_addresses,
    ),
    LintRule(
        "glob-case",
        "warning",
        "A glob has the model's name in other letter case. Letter case counts in globs, but not in names.",
        "Write the glob as the provider writes the name.",
        lint_globs.find_globs_in_other_case,
    ),
    LintRule(
        "size-in-brackets",
        "warning",
        "An alias ends with a size in brackets, such as [1m]. It is read as a glob, and does not match its own text.",
        "Write the opening bracket as [[].",
        lint_globs.find_sizes_in_brackets,
    ),
    LintRule(
        "shadowed-name",
        "warning",
        "An entry is limited to a provider, but calls of that provider by the entry's name match another entry.",
        "Remove the name from one of the entries, or set a different provider in each.",
        lint_names.find_shadowed_names,
    ),
    LintRule(
        "odd-character",
        "warning",
        "An id or alias contains white space, an invisible or unusual character, or one that looks like a different "
        "one. Names on spans have none.",
        "Type the name again, with plain letters, digits and hyphens.",
        lint_names.find_odd_characters,
    ),
    LintRule(
        "look-alike",
        "warning",
        "A name looks like a name of another entry, but has other characters. Calls by one do not match the other.",
        "Remove one of the names, or type it again with plain letters, digits and hyphens.",
        lint_names.find_look_alikes,
    ),
    LintRule(
        "placeholder-name",
        "warning",
        "An id or alias is a word that spans have if the model is not known.",
        "Write the name of the model.",
        lint_names.find_placeholder_names,
    ),
    LintRule(
        "unknown-provider",
        "warning",
        "The provider is not known. It is similar to a known one, or it has several words or providers in one text.",
        "Write the provider as spans name it, such as openai; or a list of providers.",
        lint_texts.find_unknown_providers,
    ),
    LintRule(
        "undated-status",
        "warning",
        "A deprecated or retired model has no date of that status. Evidence then applies the status from an "
        "earlier date on, such as the deployment date.",
        "Add the date: deprecation_date, or decommission_date.",
        lint_lifecycle.find_undated_statuses,
    ),
    LintRule(
        "date-without-status",
        "warning",
        "A model has a date or a successor that belongs to a later status.",
        "Change the status, or remove the value.",
        lint_lifecycle.find_dates_without_status,
    ),
    LintRule(
        "dates-out-of-order",
        "warning",
        "A date is before another one that it must follow.",
        "Correct one of the dates.",
        lint_lifecycle.find_dates_out_of_order,
    ),
    LintRule(
        "status-too-early",
        "warning",
        "The date of the status is in the future, but the status is in force now.",
        "Correct the date, or change the status on that day.",
        lint_lifecycle.find_statuses_too_early,
    ),
    LintRule(
        "past-sunset",
        "warning",
        "The sunset date of a deprecated model has come.",
        "Retire the model, or move the date.",
        lint_lifecycle.find_past_sunsets,
    ),
    LintRule(
        "history-differs",
        "warning",
        "The status differs from the last record of the history, for example after an edit by hand.",
        "Change the status with a command or in code, because both add a record.",
        lint_lifecycle.find_different_histories,
    ),
    LintRule(
        "unknown-successor",
        "warning",
        "The successor of a model is not registered.",
        "Register it, or correct the name.",
        lint_lifecycle.find_unknown_successors,
    ),
    LintRule(
        "ended-successor",
        "warning",
        "The successor or the base model is deprecated or retired itself.",
        "Name a model that is in use.",
        lint_lifecycle.find_ended_successors,
    ),
    LintRule(
        "near-miss",
        "warning",
        "A key of metadata is nearly one that the library reads, or a text is a template that was not rendered.",
        "Correct the key, or render the template.",
        lint_texts.find_near_misses,
    ),
    LintRule(
        "unfilled-field",
        "warning",
        "A field has a word in place of its value, such as TODO.",
        "Write the value.",
        lint_texts.find_unfilled_fields,
    ),
    LintRule(
        "owner-spelling",
        "warning",
        "An owner is written in two ways. Metrics and alerts then have two owners.",
        "Write the owner in one way.",
        lint_texts.find_owner_spellings,
    ),
    LintRule(
        "provider-spelling",
        "note",
        "The provider is a known one in an unusual spelling. With OTEL_PYTHON_MODEL_REGISTRY_MATCH=exact, calls"
        " with the usual spelling do not match.",
        "Write the usual spelling.",
        lint_texts.find_provider_spellings,
    ),
    LintRule(
        "no-contact",
        "note",
        "An owner has no contact. Nobody then knows whom to ask about a call.",
        "Add contact: a channel, an address or a URL.",
        lint_texts.find_owners_without_contact,
    ),
    LintRule(
        "no-successor",
        "note",
        "A deprecated model has no successor or no sunset date, which its callers need.",
        "Add successor and sunset_date.",
        lint_lifecycle.find_missing_advice,
    ),
    LintRule(
        "unknown-base-model",
        "note",
        "The base model of a deployment or adapter is not registered.",
        "Register it if it has an owner of its own.",
        lint_lifecycle.find_unknown_base_models,
    ),
    LintRule(
        "repeated-alias",
        "note",
        "An alias is in the entry already.",
        "Remove it.",
        lint_names.find_repeated_aliases,
    ),
)
"""The rules about valid files, the worst first."""
ALL_RULES: Final = (*FILE_RULES, *LINT_RULES)
"""All rules."""
