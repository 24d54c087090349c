"""Side-by-side measurements; each script prints a table, or one JSON object with --json.

step            the core's step beside a loop written by hand
memory          peak memory against accumulation
lanes           trials an hour against the number of lanes
studies         whole studies, `lanes: auto` beside `lanes: 1`
overhead        what a trial costs beside its training, and beside Ray Tune and Optuna; what an ask does
asks            what an ask costs the search in CPU time
command         what a trial of a command costs beyond its process
load            the driver under many reports
live_view       what the live view takes of the driver's time
first_report    how long until the first report
concurrency     what trials in flight cost a model-based sampler
order           what a fixed order costs
pruning         what each sampler and pruner finds for how many examples
population      what copies among lanes cost, what a population finds, and Ray Tune's beside it
search          what the search finds beside Optuna's default and random points
finetune        fine-tuning of a language model beside mlx-lm's trainer
analysis_load   how long opening a large run takes
scaling         several nodes beside one
cluster         doctor, up and down over ten machines

measure, ours, population_tune, search_objectives, small_models, toy, toy_function are what those share.
"""
