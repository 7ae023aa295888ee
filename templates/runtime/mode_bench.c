/* --bench: how long one run takes. */
#include "modes.h"
#include "stats.h"

static double time_run(session *s) {
  const uint64_t start_ns = stats_now_ns();
  session_run(s);
  return stats_us_since(start_ns);
}

static samples measure(session *s) {
  const options *o = &s->options;
  samples all = {0};
  for (int32_t i = 0; i < o->warmup; i++)
    session_run(s);
  const uint64_t start_ns = stats_now_ns();
  while (all.count < (size_t)o->runs ||
         (all.count < SAMPLES_LIMIT && stats_us_since(start_ns) < o->min_seconds * 1e6))
    samples_add(&all, time_run(s));
  return all;
}

static void print_latency(json *document, const samples *all) {
  const summary total = samples_summary(all);
  json_object(document, "latency_us");
  json_number(document, "median", total.median);
  json_number(document, "p90", total.p90);
  json_number(document, "min", total.min);
  json_number(document, "mean", total.mean);
  json_array(document, "samples");
  for (size_t i = 0; i < all->count; i++)
    json_number(document, NULL, all->values[i]);
  json_end(document);
  json_end(document);
}

static void print_json(const session *s, const samples *all, int64_t peak_rss_bytes) {
  json document = session_json(s);
  json_integer(&document, "warmup", s->options.warmup);
  json_integer(&document, "runs", (int64_t)all->count);
  json_number(&document, "init_us", s->init_us);
  json_integer(&document, "peak_rss_bytes", peak_rss_bytes);
  json_number(&document, "cpu_us", stats_cpu_us());
  print_latency(&document, all);
  json_close(&document);
}

static void print_text(const session *s, const samples *all, int64_t peak_rss_bytes) {
  const summary total = samples_summary(all);
  printf("latency: median %.1f us, p90 %.1f us, min %.1f us, mean %.1f us (%zu runs, %d threads)\n",
         total.median, total.p90, total.min, total.mean, all->count,
         (int)s->api.bw_thread_count(s->model));
  printf("start-up %.1f us, peak memory %.1f MiB\n", s->init_us,
         (double)peak_rss_bytes / (1024.0 * 1024.0));
}

exit_code mode_bench(session *s) {
  session_load_sample_inputs(s);
  samples all = measure(s);
  const int64_t peak_rss_bytes = stats_peak_rss_bytes();
  if (s->options.json)
    print_json(s, &all, peak_rss_bytes);
  else
    print_text(s, &all, peak_rss_bytes);
  samples_free(&all);
  return EXIT_OK;
}
