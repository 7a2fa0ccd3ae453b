/* What policy/analysis.h found, as JSON (docs/policy-analysis.md has the shapes). */
#pragma once

#include "cli/show.h"
#include "policy/analysis.h"

/* All return new references; NULL without memory. What is not there is null. */

/* [{"concern","warning","file","line","column","resource","text"}] */
json_t *cli_analysis_findings(const struct policy_findings *findings);
/* {"allowed","by_rule","file","line","version","too_large","obligations"} */
json_t *cli_analysis_decision(const struct policy_decision *decision);
/* [{"file","line","column","allows","resource","part","matches","holds","tests","applies",
 * "decides"}] */
json_t *cli_analysis_derivation(const struct policy_derivation *derivation);
/* [{"actions","filter","except","sure","condition","rules"}] */
json_t *cli_analysis_reach(const struct policy_reach *reach);
/* [{"file","line","column"}] */
json_t *cli_analysis_rules(const struct policy_where *rules, size_t count);
/* [{"change","who","name","groups","actions","areas","example","before","after","devices"}];
 * counted: else devices is null */
json_t *cli_analysis_diff(const struct policy_diff *diff);
