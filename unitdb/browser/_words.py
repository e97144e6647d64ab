"""What the field's words mean, for the tooltips of labels and columns."""

from __future__ import annotations

__all__ = ["NO_TEST", "WORDS", "help_on"]

WORDS = {
    "accuracy": "Decoding accuracy: a linear decoder predicts the unit's activation from a "
    "person's fMRI responses; the accuracy is the Pearson correlation r of predicted and "
    "true activation over test images. 1 is perfect, 0 is chance.",
    "agreement": "Inter-subject correlation: whether the same units are well decoded in two "
    "people. Pearson correlation over units of their decoding accuracies.",
    "recurrence": "Are one person's best units the best in others? Of the k best of all layers in "
    "one person, how many are among the k best of what they are compared with.",
    "ceiling": "Accuracy that the noise of the measurements leaves room for: the square root of "
    "the reliability of the predictions over presentations of the test images. Accuracy in parts "
    "of it may be above 1; it is not cut off.",
    "roi": "Region of interest: a part of visual cortex, from early areas (V1) to higher "
    "ones (HVC).",
    "bh": "Brain hierarchy score: do early layers go with early visual areas and late layers with "
    "late ones? Rank correlation over units of the layer and the best-decoding area; 1 is a "
    "perfect match of both hierarchies.",
    "unit": "One number that a layer computes for an image: for a convolutional layer, one channel "
    "at one place of the map. Written network/layer/index, the index in C order over the axes "
    "of the layer, mostly (channel, row, column).",
    "layer": "One step of the network, from the picture (depth 0) to its output.",
    "channel": "All units of a convolutional layer that apply the same filter, at all places; of a "
    "transformer, one feature at all tokens.",
    "mean_r": "Decoding accuracy, mean over subjects.",
    "shrunk_r": "The mean drawn towards that of all channels of the layer, the more the fewer of "
    "the channel's units are decoded: a lucky unit alone makes no good channel.",
    "min_r": "Lowest decoding accuracy of any subject: high only where everybody agrees.",
    "max_r": "Highest decoding accuracy of any subject.",
    "sd_r": "Standard deviation of the decoding accuracy over subjects.",
    "lead_r": "By how much the unit is decoded better from this ROI than from any other; above 0 "
    "this is its preferred ROI.",
    "people": "On average: the mean over people reaches the accuracy. At least k: so many people "
    "reach it, each by themselves; all are in the count, also those without an accuracy.",
    "q": "Share of false discoveries expected among the units that are as significant, within the "
    "network and ROI (Benjamini-Hochberg).",
    "rank": "Place of the unit among all units of its layer in this ROI; 1 is the best decoded.",
    "condition": "Name of the test set: what the subjects did, such as perception or imagery.",
    "network": "A deep neural network whose units were decoded.",
    "subject": "A person whose fMRI responses were decoded.",
    "interval": "95 % interval of a correlation over n test images by Fisher's z: "
    "tanh(artanh r ± 1.96 / √(n − 3)). It takes images as independent and says nothing of other "
    "people; there is none where samples share a target.",
    "predicted": "Each point is a test image: what the network computes for it, and what the "
    "decoder predicts from the person's responses to it, which did not train the decoder. Their "
    "correlation is the decoding accuracy.",
    "field": "The part of a picture that can reach the unit through the network, whatever its "
    "weights are. What lies outside has no effect on the unit.",
    "driving": "Pictures of the dataset by the unit's activation: what it computes for them in the "
    "network, whatever brains do.",
    "synthetic": "Feature visualisation: a picture that the network itself finds, step by step, to "
    "drive this unit. It shows one way to do so, not what the unit answers to in the world, and "
    "nothing about brains.",
    "identification": "A prediction is compared with the features of all candidates, by Pearson r "
    "over units. Pairwise: share of false candidates that it is less like than the true one; .5 is "
    "chance only where exchange chance is: one image's prediction and another's target, "
    "both held out by one fold.",
    "timecourse": "What is decoded from single volumes, at each time from the onset of what was "
    "seen or imagined, by decoders that other samples have trained.",
    "lag": "How far the course of a layer is displaced in time from the mean of all layers: above "
    "0 it is late. How well the layer is decoded does not count, as it does for a peak's time.",
    "gain": "From a degraded picture, such as a blurred one: by how much the decoded features are "
    "nearer to those of its original than to those of what was shown, as correlations over units, "
    "less the same of a control that knows nothing of originals. Controls: true features with "
    "noise (as published), or what the decoder makes of responses that an encoder predicts from "
    "what was shown.",
    "pattern": "Pattern correlation: of decoded and true activations of a test image over the "
    "layer's units, mean over images. Chance: with the activations of other test images.",
    "map_reliability": "Split-half reliability of the mean accuracies of units: how they would "
    "correlate with those of as many other people (Spearman-Brown).",
    "encoding": "The other direction: a voxel's response is predicted from the layer's "
    "activations; correlation of predicted and measured response over test images.",
    "prediction_r": "Correlation over test images of what is predicted of a unit from two people, "
    "mean over units: how alike chance makes them.",
    "depth": "Place of the layer in its network: 0 is the first decoded layer, 1 the last.",
}

NO_TEST = (
    "There is no p or q here: this release has no test of units that is valid for how its data "
    "were collected, or these units have no accuracy."
)
"""Why columns of significance are left out."""


def help_on(word: str) -> str:
    """Explain a word; for the ``help`` of a widget."""
    return WORDS[word]
