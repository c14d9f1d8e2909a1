"""Keras files and SavedModel folders, good and each with one thing wrong: `python make_bad_keras.py FOLDER CANARY`.

The code that some of them carry would write the file CANARY.
"""

import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf
import tf_keras

folder, canary = pathlib.Path(sys.argv[1]), sys.argv[2]
SIDE = (8, 8, 1)


def net(library, *middle, seed=0):
    library.utils.set_random_seed(seed)
    layers = library.layers
    return library.Sequential(
        [
            layers.Input(SIDE) if library is keras else layers.InputLayer(SIDE),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            *middle,
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="dense"),
        ]
    )


def serve(model, name, call):
    module = tf.Module()
    module.model = model
    module.call = tf.function(call, input_signature=[tf.TensorSpec((1, *SIDE), tf.float32, name="image")])
    tf.saved_model.save(module, str(folder / name), signatures=module.call.get_concrete_function())


def write_file(x):
    pathlib.Path(canary).write_text("run")
    return x


good = net(keras)
good.save(folder / "good.keras")
good.save(folder / "good.h5")

poisoned = net(keras)
kernel = poisoned.get_layer("conv").get_weights()
kernel[0][0, 0, 0, 1] = np.nan
poisoned.get_layer("conv").set_weights(kernel)
poisoned.save(folder / "nan-weight.keras")
poisoned.save(folder / "nan-weight.h5")

for library, name in ((keras, "lambda.keras"), (tf_keras, "lambda.h5")):
    net(library, library.layers.Lambda(write_file, name="trick", output_shape=(6, 6, 4))).save(folder / name)


@keras.saving.register_keras_serializable("acme")
class Twice(keras.layers.Layer):
    def call(self, x):
        return x * 2


net(keras, Twice(name="twice")).save(folder / "custom-layer.keras")
net(keras, Twice(name="twice")).save(folder / "custom-layer.h5")

two = [keras.Input((4,), name=name) for name in ("left", "right")]
keras.Model(two, keras.layers.Dense(2)(keras.layers.Concatenate()(two))).save(folder / "two-inputs.keras")
free = keras.Input((None, None, 1), name="picture")
keras.Model(free, keras.layers.GlobalAveragePooling2D()(free)).save(folder / "free-sides.keras")

variable = tf.Variable(np.linspace(-1, 1, 64 * 3, dtype=np.float32).reshape(64, 3), name="dense")


def dense(x):
    return {"scores": tf.nn.softmax(tf.reshape(x, (1, 64)) @ variable)}


serve(variable, "good", dense)
serve(variable, "python", lambda x: {"scores": tf.reshape(tf.py_function(write_file, [x], tf.float32), (1, 64))})
serve(
    variable,
    "loop",
    lambda x: {
        "scores": tf.while_loop(lambda y: tf.reduce_sum(y) < 100.0, lambda y: (y * 1.5,), (tf.reshape(x, (1, 64)),))[0]
    },
)


def writing(x):
    with tf.control_dependencies([tf.io.write_file(canary, "run")]):
        return dense(x)


serve(variable, "writes", writing)
serve(variable, "random", lambda x: {"scores": dense(x)["scores"] + tf.random.uniform((1, 3))})
serve(variable, "flex", lambda x: {"scores": tf.raw_ops.Betainc(a=tf.abs(x) + 1, b=tf.abs(x) + 1, x=tf.sigmoid(x))})
bad = tf.Variable(np.full((64, 3), np.inf, np.float32))
serve(bad, "infinite", lambda x: {"scores": tf.reshape(x, (1, 64)) @ bad})
serve(variable, "no-variables", dense)
(folder / "no-variables/variables/variables.index").unlink()
serve(variable, "cut-variables", dense)
data = folder / "cut-variables/variables/variables.data-00000-of-00001"
data.write_bytes(data.read_bytes()[:-200])
serve(variable, "garbled-variables", dense)
data = folder / "garbled-variables/variables/variables.data-00000-of-00001"
data.write_bytes(bytes([data.read_bytes()[0] ^ 255]) + data.read_bytes()[1:])

converted = tf.lite.TFLiteConverter.from_keras_model(good)
(folder / "good.tflite").write_bytes(converted.convert())
pathlib.Path(canary).unlink(missing_ok=True)  # building the layers here has run their code, as it should
